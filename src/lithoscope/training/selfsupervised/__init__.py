"""Teaching a backbone on scans without labels: crops, views, the DINO and MAE objectives, and the loop that runs them."""
