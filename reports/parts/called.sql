-- title: What speakers are called
-- description: Each speaker of a meeting with the person in the picture, if that is known, and a name, if names were asked for.
-- uses: turns
WITH speakers AS (
    SELECT run, number, any_value(speaker) AS speaker, mode(person) AS person FROM turns GROUP BY run, number
)
SELECT
    speakers.run, speakers.number, speaker, person, coalesce(any_value(name) FILTER (kind = 'speaker'),
        any_value(name) FILTER (kind = 'person'), 'Participant ' || person, 'Speaker ' || speaker) AS who
FROM speakers LEFT JOIN names ON names.run = speakers.run
    AND (kind = 'speaker' AND names.number = speaker OR kind = 'person' AND names.number = person)
GROUP BY speakers.run, speakers.number, speaker, person
