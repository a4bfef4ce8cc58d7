"""Adam in one pass against torch's."""

from __future__ import annotations

import numpy as np
import torch

from gstalker.kernels.adam import adam_update, all_finite


def test_the_pass_updates_as_torchs_adam_with_gradients_that_are_often_zero():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=generator)
    parameter = torch.nn.Parameter(start.double().clone())
    exact = torch.optim.Adam([parameter], lr=1e-3, betas=(0.9, 0.99), eps=1e-15)
    values, means, squares = start.numpy().copy(), np.zeros(1000, np.float32), np.zeros(1000, np.float32)
    for step in range(1, 60):
        gradient = torch.randn(1000, generator=generator) * 10.0 ** torch.randint(-8, 2, (1000,), generator=generator)
        gradient *= torch.rand(1000, generator=generator) < 0.3
        parameter.grad = gradient.double()
        exact.step()
        adam_update(
            values, gradient.numpy(), means, squares, rate=1e-3, betas=(0.9, 0.99), epsilon=1e-15, step=step
        )  # fmt: skip
    moved = parameter.detach().numpy() - start.double().numpy()
    # Sixty float32 additions of 1e-3 to values of order one round by 6e-8 each.
    np.testing.assert_allclose(values - start.numpy(), moved, atol=60 * 2.4e-7)


def test_one_value_that_is_not_finite_is_found():
    values = np.ones(100, np.float32)
    assert all_finite(values)
    for bad in (np.nan, np.inf, -np.inf):
        values[37] = bad
        assert not all_finite(values)
