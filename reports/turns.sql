-- title: Turns
-- description: Who had the floor when, by the best source that a run has: its transcript, else Zoom's timeline, else the frame
-- around the speaker's tile. A turn ends when somebody else speaks, or in a long pause. number is the speaker's
-- or, where the picture alone says who speaks, minus the person's.
-- plot: bar start_s spoken_s
-- parameter pause: number = 3: a longer pause, in seconds, ends a turn
WITH sources AS (
    SELECT run, arg_min(kind, CASE kind WHEN 'transcript' THEN 1 WHEN 'timeline' THEN 2 ELSE 3 END) AS kind
    FROM speech WHERE kind <> 'chat' GROUP BY run
),
said AS (
    SELECT *, coalesce(speaker, -person) AS number FROM speech JOIN sources USING (run, kind)
    WHERE coalesce(speaker, person) IS NOT NULL
),
marked AS (
    SELECT *, number IS DISTINCT FROM lag(number) OVER by_time OR start_s > max(end_s) OVER before + $pause AS starts,
        greatest(end_s - greatest(start_s, coalesce(max(end_s) OVER own, start_s)), 0) AS new_s
    FROM said WINDOW
        by_time AS (PARTITION BY run ORDER BY start_s, end_s, number),
        before AS (PARTITION BY run ORDER BY start_s, end_s, number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        own AS (PARTITION BY run, number ORDER BY start_s, end_s ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
numbered AS (
    SELECT *, sum(starts::INTEGER) OVER (PARTITION BY run ORDER BY start_s, end_s, number ROWS UNBOUNDED PRECEDING) AS turn
    FROM marked
)
SELECT run, turn, any_value(number) AS number, any_value(speaker) AS speaker, mode(person) AS person, any_value(kind) AS kind,
    min(start_s) AS start_s, max(end_s) AS end_s, sum(new_s) AS spoken_s,
    count(*) FILTER (question) AS questions, sum(words)::BIGINT AS words
FROM numbered GROUP BY run, turn ORDER BY run, turn
