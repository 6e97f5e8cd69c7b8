"""The choice between WebAssembly and WebGPU, in Node.js; test_webgpu.py has real networks."""


def test_webgpu_is_used_only_where_it_agrees_with_webassembly(node, tmp_path):
    printed = node("backends.test.mjs", tmp_path, test=True)
    assert "# pass 14\n" in printed and "# fail 0\n" in printed
