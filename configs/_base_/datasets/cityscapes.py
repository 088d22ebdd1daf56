# Cityscapes: 2,975 training and 500 validation images.
# Crop, scales, rotation, blur and batch are those of the authors' SPNet code; they do not
# publish a recipe for the CA models.
_base_ = './segmentation.py'
data_command = 'python tools/prepare_data.py cityscapes'
dataset_type = 'CityscapesDataset'
data_root = 'data/cityscapes'
prepared_root = data_root  # what data_command fills
crop_size = (768, 768)
train_pipeline = [
    dict(type='mmca.SeedAugmentation'),
    dict(type='mmca.LoadImageFromFile', imdecode_backend='cv2'),
    dict(type='mmca.LoadSegAnnotations', num_classes=19),
    # RandomResize, RandomRotate, RandomCrop, mmca.RandomGaussianBlur, RandomFlip and Pad in one.
    dict(
        type='mmca.SegAugmentation',
        scale=(2048, 1024),
        ratio_range=(0.5, 1.75),
        rotate=dict(prob=1.0, degree=1.0, seg_pad_val=255),
        crop_size=crop_size,
        blur=dict(prob=0.5, sigma_range=(0.0, 1.0)),
        flip_prob=0.5,
    ),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
    ),
)
test_dataloader = val_dataloader
