"""Models of the Hugging Face hub as local folders, pinned by commit. Needs huggingface_hub."""

import re
from pathlib import Path

from rdc_jax.errors import RdcError

HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@(.+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
WANTED = [
    *(f"{part}/*.{kind}" for part in ("unet", "vae") for kind in ("json", "safetensors")),
    *("scheduler/*.json", "LICENSE*"),
]
UNWANTED = ["*non_ema*", "*.fp16.*"]


def local_folder(source: str) -> Path:
    """Returns the folder `source`, or downloads owner/name@COMMIT from the hub.

    Raises:
        RdcError: the folder does not exist, the id has no commit, huggingface_hub is not installed,
            or the download fails.
    """
    if Path(source).exists():
        return Path(source)
    match = HUB_ID.fullmatch(source)
    if match is None:
        raise RdcError(f"no folder {source}")
    name, revision = match.groups()
    if revision is None or not COMMIT.fullmatch(revision):
        raise RdcError(
            f"no folder {source}; an id of the Hugging Face hub needs a commit: {name}@ and 40 "
            "hexadecimal digits"
        )
    try:
        import huggingface_hub
    except ImportError as error:
        raise RdcError(
            f"no folder {source}, and fetching it from the hub needs huggingface_hub: pip install "
            "huggingface_hub"
        ) from error
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=WANTED, ignore_patterns=UNWANTED
        )
    except Exception as error:  # from the library, its HTTP client, or the file system
        reason = (str(error).splitlines() or [""])[0][:150]
        raise RdcError(
            f"cannot fetch {source} from the hub ({type(error).__name__}: {reason}); download it "
            "elsewhere and give the folder"
        ) from error
    return Path(folder)
