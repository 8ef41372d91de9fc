"""A stand-in for the engine: a real process that speaks the protocol and does what the job's ``steps`` say."""
