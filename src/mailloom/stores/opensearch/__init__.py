"""OpenSearch: full text on servers. An index a month behind one alias; a message is one document, its key follows from its id."""
