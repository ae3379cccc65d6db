"""What a run shows: one live display on a terminal, plain lines elsewhere, and at its end errors or results."""
