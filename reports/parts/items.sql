-- title: Items of an agenda
-- description: The segments given, else the segments of constant layout.
-- parameter segments: segments = : CSV file with name, start, end
SELECT run, s.name AS item, s.start_s, s.end_s
FROM runs, (SELECT unnest($segments::STRUCT(name VARCHAR, start_s DOUBLE, end_s DOUBLE)[]) AS s)
WHERE layout = 'meeting'
UNION ALL
SELECT run, segment || ' ' || layout, min(start_s), max(end_s)
FROM tiles WHERE len($segments) = 0 GROUP BY run, segment, layout
