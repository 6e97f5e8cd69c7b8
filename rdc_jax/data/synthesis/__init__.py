"""Synthetic screen content for training: text, screens, charts, drawings, gradients.

Every kind of image has a module with a function `draw(rng, size, fonts) -> uint8 [h, w, 3]`, whose
result depends only on its arguments. `size` is (width, height) and `fonts` comes from
`fonts.find_fonts`. `kinds` lists all kinds. Matplotlib is optional, so functions import it.
"""
