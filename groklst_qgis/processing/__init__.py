"""GrokLST in the Processing toolbox."""
