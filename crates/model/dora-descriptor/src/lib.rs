//! The dataflow file: strict, spanned parse, expansion, validated graph.
