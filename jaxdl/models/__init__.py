"""The networks, as Flax Linen modules; one kind per file."""

from jaxdl.models.autoencoder import VAE, Autoencoder, conv_autoencoder, encoder_decoder
from jaxdl.models.cnn import CNN, lecture_cnn_3x3, lecture_cnn_5x5, resnet20
from jaxdl.models.cnn1d import CNN1D, tcn
from jaxdl.models.conditional import Conditional
from jaxdl.models.conv_decoder import ConvDecoder, UpStage
from jaxdl.models.dcgan import dcgan
from jaxdl.models.dueling import Dueling
from jaxdl.models.efficientnet import EfficientNet, InvertedResidual, efficientnet_lite0
from jaxdl.models.mlp import MLP, softmax_mlp
from jaxdl.models.pixelcnn import PixelCNN
from jaxdl.models.pixelrnn import PixelRNN
from jaxdl.models.reshaped import Reshaped
from jaxdl.models.sequence import OneHot, SequenceNet
from jaxdl.models.skipgram import SkipGram
from jaxdl.models.stage import Stage
from jaxdl.models.table import table
from jaxdl.models.unet import PatchDiscriminator, UNet, patch_discriminator
from jaxdl.models.vgg import vgg, vgg16, vgg19
from jaxdl.models.wavenet import WaveNet

__all__ = [
    "CNN",
    "CNN1D",
    "MLP",
    "VAE",
    "Autoencoder",
    "Conditional",
    "ConvDecoder",
    "Dueling",
    "EfficientNet",
    "InvertedResidual",
    "OneHot",
    "PatchDiscriminator",
    "PixelCNN",
    "PixelRNN",
    "Reshaped",
    "SequenceNet",
    "SkipGram",
    "Stage",
    "UNet",
    "UpStage",
    "WaveNet",
    "conv_autoencoder",
    "dcgan",
    "efficientnet_lite0",
    "encoder_decoder",
    "lecture_cnn_3x3",
    "lecture_cnn_5x5",
    "patch_discriminator",
    "resnet20",
    "softmax_mlp",
    "table",
    "tcn",
    "vgg",
    "vgg16",
    "vgg19",
]
