"""A linear classifier, whose best perturbation is known in closed form."""

import numpy as np
import torch


class LinearModel:
    """Logits W x of flattened pixels, in float64 unless asked otherwise; counts the images that it was applied to."""

    def __init__(self, classes: int, shape: tuple[int, ...] = (3, 4, 4), seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.shape = shape
        self.weights = rng.normal(size=(classes, int(np.prod(shape))))
        self.images_seen = 0

    def images(self, count: int, seed: int = 1) -> torch.Tensor:
        """Return images of which some pixels are at the ends of [0, 1]."""
        pixels = np.random.default_rng(seed).uniform(-0.2, 1.2, (count, *self.shape)).clip(0, 1)
        return torch.from_numpy(pixels.astype(np.float32))

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        self.images_seen += len(pixels)
        return pixels.flatten(1).double() @ torch.from_numpy(self.weights).T

    def labels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the mask of positives under which every image is right."""
        logits = self.logits(pixels)
        return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).bool()

    def best_margin(self, image: np.ndarray, right: int, epsilon: float) -> float:
        """Return the largest margin of any wrong class within the ball and [0, 1], by its closed form."""
        x = image.reshape(-1).astype(np.float64)
        margins = []
        for wrong in range(len(self.weights)):
            if wrong != right:
                difference = self.weights[wrong] - self.weights[right]
                moved = np.clip(x + epsilon * np.sign(difference), 0, 1)
                margins.append(float(difference @ moved))
        return max(margins)
