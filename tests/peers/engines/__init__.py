"""The engines in Python. Each module has a VERSION and a class Engine with `images`, `texts`, `detail` and `kernels`.

`images` takes N x 3 x 224 x 224 float32 and `texts` N x T int64; both return N x 512 features, not normalised.
`kernels` are the weights of its matrix products, by the name of the code that computes them: their times or their number.
"""
