bookData("mixup_fashion_mnist", null);
