"""The two towers as ONNX files with variable batch size, and the vision tower in int8."""

import logging
import warnings

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import CLIPModel

from file_names import TEXT, VISION, VISION_INT8


class Vision(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.tower, self.projection = model.vision_model, model.visual_projection

    def forward(self, pixel_values):
        return self.projection(self.tower(pixel_values=pixel_values).pooler_output)


class Text(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.tower, self.projection = model.text_model, model.text_projection

    def forward(self, input_ids):
        return self.projection(self.tower(input_ids=input_ids).pooler_output)


def write(model_directory, directory):
    # The exporter tells of every step and of packages that it could also use.
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)

    model = CLIPModel.from_pretrained(model_directory).eval()
    batch, length = torch.export.Dim("batch", min=1, max=256), torch.export.Dim("length", min=2, max=77)
    export(Vision(model), torch.zeros(2, 3, 224, 224), {0: batch}, "pixel_values", directory / VISION)
    tokens = torch.tensor([[49406, 320, 1125, 49407]] * 2)
    export(Text(model), tokens, {0: batch, 1: length}, "input_ids", directory / TEXT)
    # Weights and activations of the products in 8 bits; the convolution stays, whose integer form is slower.
    quantize_dynamic(
        directory / VISION, directory / VISION_INT8, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8
    )


def export(module, example, dynamic, name, path):
    torch.onnx.export(
        module.eval(),
        (example,),
        path,
        dynamic_shapes=(dynamic,),
        input_names=[name],
        output_names=["features"],
        dynamo=True,
        verbose=False,
    )
