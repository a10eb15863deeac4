"""What people and methods said of a scan: strokes, results and corrections."""
