bookData("cifar10_fast", null);
