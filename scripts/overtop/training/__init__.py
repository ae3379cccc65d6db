"""Training encoders: contrastive training of a whole encoder, and heads on locked towers."""
