"""What kinds of answer there are: each form's arrays, and how they are scored."""
