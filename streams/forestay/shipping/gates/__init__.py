"""Gates: each looks at one side of a candidate, and refuses a bad one in words."""
