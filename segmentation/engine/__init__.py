"""Pure calculation of segmentation: knows no Django."""
