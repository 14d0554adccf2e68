"""What the law lets a patient ask of the clinic that holds their data: see docs/reference/own-data.md."""
