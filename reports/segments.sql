-- title: Segments compared
-- description: Each measure in each segment of the recording (songs, talks, slides; a CSV file with the columns name, start, end),
-- with a 95 % interval by bootstrap over persons and the persons and faces behind it. few: fewer than `min_persons` persons.
-- Segments whose intervals overlap may well be alike.
-- uses: intervals
-- parameter segments: segments: CSV file with name, start, end
-- parameter min_persons: integer = 5: figures of fewer persons are called few
-- plot: heat measure segment value
SELECT run, segment, start_s, end_s, measure, value, low, high, persons, faces, persons < $min_persons AS few
FROM intervals ORDER BY run, start_s, segment, measure
