-- title: Speakers
-- description: For each speaker of a meeting: time spoken, its share of all speakers' time, turns and questions; and what the audience
-- showed meanwhile: all other persons, whoever of them speaks at the same instant left out, with 95 % intervals by bootstrap over
-- persons. own_...: the speaker's own face while speaking, apart, because talking moves the mouth. person is NULL where the speaker's
-- face is not known; it may then be among the audience. few: fewer than `min_persons` persons in the audience.
-- uses: called, audience
-- parameter min_persons: integer = 5: figures of fewer persons are called few
-- plot: bar who positivity
WITH talk AS (
    SELECT run, number, any_value(kind) AS source, sum(spoken_s) AS spoken_s, count(*) AS turns, sum(questions)::BIGINT AS questions,
        sum(words)::BIGINT AS words, min(start_s) AS first_s
    FROM turns GROUP BY run, number
),
own AS (
    SELECT run, number, count(*) AS own_faces, avg(usable::INTEGER) AS own_coverage,
        avg(happy) FILTER (usable) - greatest(avg(angry) FILTER (usable), avg(disgust) FILTER (usable), avg(fear) FILTER (usable),
            avg(sad) FILTER (usable)) AS own_positivity,
        avg(expressiveness) AS own_expressiveness
    FROM (
        SELECT DISTINCT called.run, called.number, called.person, frame FROM called JOIN turns USING (run, number) JOIN frames
            ON frames.run = turns.run AND time_s >= start_s AND time_s < end_s WHERE called.person IS NOT NULL
    ) JOIN faces USING (run, frame, person) GROUP BY run, number
)
SELECT
    run, speaker, person, who, source, spoken_s, spoken_s / sum(spoken_s) OVER (PARTITION BY run) AS share, turns, questions, words, first_s,
    persons, faces, positivity, positivity_low, positivity_high, expressiveness, expressiveness_low, expressiveness_high, presence,
    coverage, persons < $min_persons AS few, own_positivity, own_expressiveness, own_coverage, coalesce(own_faces, 0) AS own_faces
FROM talk JOIN called USING (run, number) JOIN audience ON audience.run = talk.run AND part = number::VARCHAR
LEFT JOIN own USING (run, number)
ORDER BY run, spoken_s DESC, number
