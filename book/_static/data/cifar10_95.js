bookData("cifar10_95", null);
