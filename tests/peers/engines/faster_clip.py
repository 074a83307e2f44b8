"""faster-clip: Rust, weights in 8 bits that are converted to f32 for products. Only images: its text model is another one.

It downloads weights of a fixed name, unless they are in its cache, where the model is linked to. It only accepts files, so
every image is one of 224 x 224 pixels, without compression; decoding it takes less than a percent of the time.
"""

import importlib
import importlib.metadata
import os
from io import BytesIO

import numpy as np
from PIL import Image

VERSION = f"faster-clip {importlib.metadata.version('faster-clip')}"
CACHED = "sentence-transformers__clip-ViT-B-32/0_CLIPModel/model.safetensors"
MEAN = np.array([0.48145466, 0.4578275, 0.40821073]).reshape(3, 1, 1)
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711]).reshape(3, 1, 1)


class Engine:
    def __init__(self, model, inputs, _precision, _threads):
        link = inputs / "faster-clip" / CACHED
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to((model / "model.safetensors").resolve())
        os.environ["FASTER_CLIP_CACHE"] = str(inputs / "faster-clip")
        # Without a network: these weights or none.
        os.environ["ALL_PROXY"] = os.environ["HTTPS_PROXY"] = "http://127.0.0.1:9"
        # An absolute import of this name is the package, not this module.
        self.model = importlib.import_module("faster_clip").ClipModel()
        self.files = {}
        self.detail = "weights in int8, arithmetic in f32"
        # From its documentation, and the library contains no other products of f32. It reports nothing.
        self.kernels = {"AVX2 (not reported)": 1}

    def images(self, values):
        return self.model.encode_image([self._file(pixels) for pixels in values])

    def _file(self, pixels):
        """The image as a file, made once: by its central row."""
        key = pixels[:, pixels.shape[1] // 2].tobytes()
        if key not in self.files:
            levels = np.rint((pixels * DEVIATION + MEAN) * 255).astype(np.uint8)
            file = BytesIO()
            Image.fromarray(levels.transpose(1, 2, 0)).save(file, "bmp")
            self.files[key] = file.getvalue()
        return self.files[key]

    def texts(self, _values):
        raise NotImplementedError("the package's text model is another one")
