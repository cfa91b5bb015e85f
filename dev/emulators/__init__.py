"""What the checks need of a cloud, on this machine: an emulated AWS account and Lambda's runtime."""
