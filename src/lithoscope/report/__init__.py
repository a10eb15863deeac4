"""The page that goes to the paper: one self-contained HTML file about the results of a scan."""

from lithoscope.report.files import check_place
from lithoscope.report.page import report_page

__all__ = ["check_place", "report_page"]
