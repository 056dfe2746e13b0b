"""Reading the data that people have, in the shapes they have it.

`files` says which files can be read and gives their rows (`row`); `shapes` says what a row is;
`pairs`, `prompts`, `instructions`, `answers` and `annotations` read one kind of row each, by
way of `fields` and `transcripts`. Fields that are not needed are dropped and named.
"""
