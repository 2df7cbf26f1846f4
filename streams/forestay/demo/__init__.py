"""The main job: a recorded shop through the whole path, its books, a summary and a report."""
