"""Training of encoders: contrastively, of all weights or of heads on locked towers, and adversarial fine-tuning."""
