-- title: Curves in windows
-- description: For each window of time and each person in it, the person's curve second by second, standardized: mean 0 and
-- length 1, so that the correlation of two persons is a dot product. Seconds in which a person cannot be read,
-- or speaks in a meeting, are at the mean.
-- uses: speaking
-- parameter window: number = 45: length of a window in seconds
-- parameter step: number = 15: seconds from one window to the next
-- parameter least: integer = 5: windows with fewer persons are left out
-- parameter curve: text = positivity: positivity, valence or an expression
-- parameter movement: number = 0.001: a curve with a smaller standard deviation does not count
WITH seconds AS (
    SELECT run, person, floor(time_s)::BIGINT AS second, avg(CASE $curve
        WHEN 'positivity' THEN happy - greatest(angry, disgust, fear, sad) WHEN 'valence' THEN valence
        WHEN 'angry' THEN angry WHEN 'disgust' THEN disgust WHEN 'fear' THEN fear WHEN 'happy' THEN happy
        WHEN 'sad' THEN sad WHEN 'surprise' THEN surprise WHEN 'neutral' THEN neutral
        ELSE error('curve: positivity, valence or an expression') END) AS value
    FROM faces ANTI JOIN speaking USING (run, frame, person) WHERE usable AND person IS NOT NULL GROUP BY ALL
),
presence AS (  -- a second in which a person cannot be read is a NULL in the person's curve
    SELECT run, person, unnest(range(min(second), max(second) + 1)) AS second FROM seconds GROUP BY run, person
),
curves AS (
    SELECT run, person, min(second) AS first, list(value ORDER BY second) AS curve
    FROM presence LEFT JOIN seconds USING (run, person, second) GROUP BY run, person
),
starts AS (
    SELECT run, unnest(range(min(first), (max(first + len(curve)) - $window)::BIGINT + 1, greatest($step::BIGINT, 1))) AS start
    FROM curves GROUP BY run
),
pieces AS (
    SELECT run, start, person, curve[greatest(start - first, 0) + 1 : start - first + $window::BIGINT] AS piece,
        greatest(first - start, 0) AS late  -- seconds of the window before the person came
    FROM curves JOIN starts USING (run)
    WHERE first - start <= 0.2 * $window AND first + len(curve) - start >= 0.8 * $window
),
moving AS (
    SELECT *, list_avg(piece) AS middle, sqrt(list_var_pop(piece) * list_count(piece)) AS length,
        count(*) OVER (PARTITION BY run, start) AS n
    FROM pieces WHERE list_count(piece) >= 0.8 * $window AND list_stddev_pop(piece) > $movement
    QUALIFY n >= greatest($least, 3)
)
SELECT run, start, person, n, length AS vividness, list_transform(range($window::BIGINT), lambda i:
    CASE WHEN i >= late AND i < late + len(piece) THEN coalesce(piece[i - late + 1] - middle, 0) / length
    ELSE 0 END) AS z
FROM moving
