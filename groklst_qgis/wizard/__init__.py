"""The training wizard: data, network, options, live curves, result."""
