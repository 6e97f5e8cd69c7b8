"""Pictures that photographs lack, drawn by a program: text, screens, charts, drawings, gradients.

Every kind of picture has a file with a function `draw(rng, size, fonts) -> uint8 [h, w, 3]`, which
depends on its arguments only. `kinds` lists them. Matplotlib is optional, so functions import it.
"""
