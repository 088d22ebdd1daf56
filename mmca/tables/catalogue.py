"""The tables, in the order of the paper, then this project's own; ``rows.csv`` has their rows."""

from typing import NamedTuple


class Metric(NamedTuple):
    """What a table compares, always shown in percent.

    Attributes:
        name: In reports.
        long_name: In OpenMMLab's metafiles.
        key: In the results of ``tools/test.py``.
        factor: From there to percent.
    """

    name: str
    long_name: str
    key: str
    factor: int

    def percent(self, results: dict) -> float:
        """The metric in percent, of what ``tools/test.py --out`` wrote."""
        return round(self.factor * results[self.key], 2)


class Method(NamedTuple):
    """What stands on the backbone.

    Attributes:
        name: As printed.
        task: In OpenMMLab's words.
        sample_metric: What its trainings on the synthetic sample report.
    """

    name: str
    task: str
    sample_metric: Metric


class Table(NamedTuple):
    """A table of the model zoo, and a metafile of the model index.

    Attributes:
        name: Of the metafile, and in ``rows.csv``.
        title: Above the table.
        method: Of all its rows.
        metric: Of all its rows.
        training_data: Name of the datasets.
        note: Shown above the table, as markdown.
    """

    name: str
    title: str
    method: Method
    metric: Metric
    training_data: str
    note: str = ''


TOP1 = Metric('top1', 'Top 1 Accuracy', 'accuracy/top1', 1)
MIOU = Metric('mIoU', 'mIoU', 'mIoU', 1)
COCO_AP = Metric('AP', 'box AP', 'coco/bbox_mAP', 100)
VOC_MAP = Metric('mAP', 'mAP', 'pascal_voc/mAP', 100)
SAMPLE_AP50 = Metric('sample AP50', 'box AP@.5', 'coco/bbox_mAP_50', 100)

CLASSIFIER = Method('classifier', 'Image Classification', TOP1)
SSDLITE = Method('SSDLite320', 'Object Detection', SAMPLE_AP50)
DEEPLAB = Method('DeepLabV3', 'Semantic Segmentation', MIOU)

_ABLATION = """\
`_x` and `_y` have attention in one direction only, the ablation of the paper's Table 1, with the
reduction, 24, that gives them as many parameters as squeeze-excitation has there. Where a published
column is blank, the authors' README has no figure."""
_PLACE = """\
The paper's figure and a tip in its authors' README put the attention after the first depthwise
convolution of a block; after the last one (`_last`) the parameters are nearer to the published
ones. The authors publish no code for it: both stand beside the same published row."""
_SE = """\
Squeeze-excitation is the original's; the CA paper puts its attention in the place of all 16. The
published columns are blank: its authors' README has no figures for it."""
_BACKBONES = """\
What the quoted detectors below start from; weights of timm and torchvision serve, too."""
_QUOTED = """\
MobileNetV1, MobileNetV3 (printed as MobileNetV2 in the authors' README) and MnasNet-A1 are quoted
in the published table from [other papers](detection.md#the-recipe-and-what-the-authors-leave-open).
Their configs have those papers' taps and extra layers, and the CA authors' head and recipe."""
_OUTPUT = """\
The published table prints COCO's parameters; with 21 outputs in place of 81 they are fewer."""
_OWN = "A small real benchmark of this project's; nothing is published for it."

# fmt: off
TABLES = (
    Table('imagenet_mbv2', 'MobileNetV2, ImageNet', CLASSIFIER, TOP1, 'ImageNet-1k', _ABLATION),
    Table('imagenet_mnext', 'MobileNeXt, ImageNet', CLASSIFIER, TOP1, 'ImageNet-1k', _PLACE),
    Table('imagenet_effnet', 'EfficientNet-B0, ImageNet', CLASSIFIER, TOP1, 'ImageNet-1k', _SE),
    Table('imagenet_others', 'Others, ImageNet', CLASSIFIER, TOP1, 'ImageNet-1k', _BACKBONES),
    Table('coco_ssdlite320', 'SSDLite320, COCO', SSDLITE, COCO_AP, 'COCO 2017', _QUOTED),
    Table('voc07_ssdlite320', 'SSDLite320, VOC 2007', SSDLITE, VOC_MAP, 'VOC 2007 + 2012', _OUTPUT),
    Table('voc12_deeplabv3', 'DeepLabV3, VOC 2012', DEEPLAB, MIOU, 'VOC 2012 + SBD'),
    Table('cityscapes_deeplabv3', 'DeepLabV3, Cityscapes', DEEPLAB, MIOU, 'Cityscapes'),
    Table('cifar10', 'CIFAR-10', CLASSIFIER, TOP1, 'CIFAR-10', _OWN),
    Table('camvid_deeplabv3', 'DeepLabV3, CamVid', DEEPLAB, MIOU, 'CamVid', _OWN),
    Table('bccd_ssdlite320', 'SSDLite320, BCCD', SSDLITE, VOC_MAP, 'BCCD', _OWN),
)
# fmt: on
