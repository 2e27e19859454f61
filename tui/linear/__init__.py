"""The wizard as questions and answers, line by line: for braille, speech, slow lines and script(1)."""
