"""What `prepare.py` leaves in the directory of inputs."""

IMAGES = "images.f32"
TOKENS = "tokens.json"
VISION = "vision.onnx"
VISION_INT8 = "vision-int8.onnx"
TEXT = "text.onnx"
WEIGHTS_SHA256 = "weights_sha256"
