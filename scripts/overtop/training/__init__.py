"""Training of encoders: contrastive training of all weights, and of linear heads on locked towers."""
