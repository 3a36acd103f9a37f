-- title: Items of the agenda
-- description: For each item of a meeting's agenda (a CSV file with the columns name, start, end; without it, each stretch of constant
-- layout): speakers, time spoken and its share of the item, questions; and what the audience showed: everybody but those who speak at
-- that instant, with 95 % intervals by bootstrap over persons. few: fewer than `min_persons` persons.
-- uses: audience
-- parameter segments: segments = : CSV file with name, start, end
-- parameter by: text = item: leave it so
-- parameter min_persons: integer = 5: figures of fewer persons are called few
-- plot: bar item positivity
WITH talk AS (
    SELECT items.run, item, count(DISTINCT number) AS speakers,
        sum(spoken_s * (least(turns.end_s, items.end_s) - greatest(turns.start_s, items.start_s)) / (turns.end_s - turns.start_s)) AS spoken_s
    FROM items JOIN turns ON turns.run = items.run AND turns.start_s < items.end_s AND turns.end_s > items.start_s
    WHERE turns.end_s > turns.start_s GROUP BY items.run, item
),
asked AS (
    SELECT items.run, item, count(*) AS questions
    FROM items JOIN speech ON speech.run = items.run AND speech.start_s >= items.start_s AND speech.start_s < items.end_s
    WHERE question GROUP BY items.run, item
)
SELECT
    run, item, start_s, end_s, coalesce(speakers, 0) AS speakers, coalesce(spoken_s, 0) AS spoken_s,
    coalesce(spoken_s, 0) / (end_s - start_s) AS talk, coalesce(questions, 0) AS questions, coalesce(persons, 0) AS persons,
    coalesce(faces, 0) AS faces, positivity, positivity_low, positivity_high, expressiveness, expressiveness_low, expressiveness_high,
    presence, coverage, coalesce(persons, 0) < $min_persons AS few
FROM items LEFT JOIN talk USING (run, item) LEFT JOIN asked USING (run, item)
LEFT JOIN (SELECT * RENAME (part AS item) FROM audience) USING (run, item)
ORDER BY run, start_s, item
