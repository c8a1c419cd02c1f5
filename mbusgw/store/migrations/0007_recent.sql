-- What was heard lately is known in memory (store/recent): an index over random contents made each telegram of a
-- commit write a page of its own.
DROP INDEX telegrams_content;
