SELECT count(*) FROM report_cells
