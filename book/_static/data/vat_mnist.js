bookData("vat_mnist", null);
