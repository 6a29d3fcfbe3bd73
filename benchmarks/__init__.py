"""What the program itself costs, beside the simplest loop that does the same and beside other people's tools."""
