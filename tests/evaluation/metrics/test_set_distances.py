"""Networks of the distances between sets: the Inception network comes from the user."""

import numpy as np
import pytest

from rdc_jax.evaluation.metrics import set_distances


def test_inception_is_asked_for_and_its_file_checked(tmp_path):
    extractors, missing = set_distances.choose(["fid", "kid"])
    assert not extractors and all("--inception" in reason for reason in missing.values())
    assert set(missing) == {"fid", "kid"}
    pytest.importorskip("torch")
    (tmp_path / "network.pt").write_bytes(b"nothing")
    _, missing = set_distances.choose(["fid"], tmp_path / "network.pt")
    assert "not a TorchScript file" in missing["fid"]


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_network_sees_channels_first_bytes(tmp_path, rng):
    torch = pytest.importorskip("torch")

    class Means(torch.nn.Module):
        def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
            return x.to(torch.float32).mean([2, 3]) if return_features else x

    torch.jit.script(Means()).save(str(tmp_path / "network.pt"))
    extractors, missing = set_distances.choose(["fid"], tmp_path / "network.pt")
    patches = rng.integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)
    assert not missing
    found = extractors["inception"](patches)
    np.testing.assert_allclose(found, patches.mean((1, 2)), rtol=1e-5)
    assert found.dtype == np.float32 and len(extractors["inception"](patches[:0])) == 0
