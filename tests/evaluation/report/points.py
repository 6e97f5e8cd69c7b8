"""A point of the results that the tests of the report use."""

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>.png'


def point(image, codec, setting, bpp, **more):
    metrics = {"psnr-rgb": 25 + 10 * bpp, "lpips-alex": 0.4 - 0.2 * bpp, "roi/psnr-rgb": 30.0}
    picture = f"pictures/{codec}/{setting:g}/{image}"
    times = {"encoding_time": 0.5, "decoding_time": 0.25}
    rest = {"bytes": round(bpp * 150), "map_bytes": 0, "bpp": bpp, "picture": picture}
    return {"image": image, "codec": codec, "setting": setting, "metrics": metrics,
            "file": "files/x"} | times | rest | more  # fmt: skip
