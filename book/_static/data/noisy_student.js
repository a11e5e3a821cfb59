bookData("noisy_student", null);
