//! Round trips over generated types and arrays, and hostile bytes.

use std::sync::Arc;

use arrow::{
    array::*,
    buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::*,
};
use half::f16;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::parameter;

/// What a sender does, followed by what a receiver does.
fn sent(array: &dyn Array) -> (TypeTag, Vec<u8>, Buffer) {
    let layout = Layout::of(array).unwrap();
    let mut memory = MutableBuffer::from_len_zeroed(layout.payload_len());
    memory.as_slice_mut().fill(0xaa);
    layout.write_payload(&mut memory).unwrap();
    (layout.tag(), layout.header().to_vec(), memory.into())
}

#[track_caller]
fn assert_round_trip(array: &dyn Array) -> ArrayRef {
    let (tag, header, payload) = sent(array);
    let received = decode(tag, &header, payload).unwrap().array;
    received.to_data().validate_full().unwrap();
    assert_eq!(received.data_type(), array.data_type());
    assert_eq!(&received.to_data(), &array.to_data());
    received
}

/// A small generator of numbers, so that proptest shrinks types and lengths and not the values.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 16
    }
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.next() as usize % bound }
    }
    fn bytes(&mut self, len: usize) -> Buffer {
        Buffer::from_iter((0..len).map(|_| self.next() as u8))
    }
    fn nulls(&mut self, nullable: bool, len: usize) -> Option<NullBuffer> {
        (nullable && self.below(3) > 0).then(|| BooleanBuffer::collect_bool(len, |_| self.below(3) > 0).into())
    }
    fn texts(&mut self, nullable: bool, len: usize) -> Vec<Option<String>> {
        let text = |numbers: &mut Self| {
            let len = numbers.below(20);
            (0..len).map(|_| ['a', 'z', 'é', '漢'][numbers.below(4)]).collect()
        };
        (0..len).map(|_| (!nullable || self.below(4) > 0).then(|| text(self))).collect()
    }
    fn lengths(&mut self, len: usize) -> Vec<usize> {
        (0..len).map(|_| self.below(4)).collect()
    }
}

fn make(data_type: &DataType, nullable: bool, len: usize, numbers: &mut Numbers) -> ArrayRef {
    use DataType as D;
    match data_type {
        D::Null => Arc::new(NullArray::new(len)),
        D::Boolean => {
            let values = BooleanBuffer::collect_bool(len, |_| numbers.below(2) > 0);
            Arc::new(BooleanArray::new(values, numbers.nulls(nullable, len)))
        }
        D::Utf8 => Arc::new(StringArray::from(numbers.texts(nullable, len))),
        D::LargeUtf8 => Arc::new(LargeStringArray::from(numbers.texts(nullable, len))),
        D::Utf8View => Arc::new(StringViewArray::from(numbers.texts(nullable, len))),
        D::Binary => Arc::new(BinaryArray::from_iter(numbers.texts(nullable, len))),
        D::LargeBinary => Arc::new(LargeBinaryArray::from_iter(numbers.texts(nullable, len))),
        D::BinaryView => Arc::new(BinaryViewArray::from_iter(numbers.texts(nullable, len))),
        D::List(item) => make_list::<i32>(item, nullable, len, numbers),
        D::LargeList(item) => make_list::<i64>(item, nullable, len, numbers),
        D::ListView(item) => make_list_view::<i32>(item, nullable, len, numbers),
        D::LargeListView(item) => make_list_view::<i64>(item, nullable, len, numbers),
        D::FixedSizeList(item, size) => {
            let values = make(item.data_type(), item.is_nullable(), len * *size as usize, numbers);
            let nulls = numbers.nulls(nullable, len);
            Arc::new(FixedSizeListArray::try_new_with_length(item.clone(), *size, values, nulls, len).unwrap())
        }
        D::Struct(fields) => {
            let columns = fields.iter().map(|it| make(it.data_type(), it.is_nullable(), len, numbers)).collect();
            let nulls = numbers.nulls(nullable, len);
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, len).unwrap())
        }
        D::Map(entries, sorted) => {
            let lengths = numbers.lengths(len);
            let values = make(entries.data_type(), false, lengths.iter().sum(), numbers);
            let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), numbers.nulls(nullable, len));
            Arc::new(MapArray::new(entries.clone(), offsets, values.as_struct().clone(), nulls, *sorted))
        }
        D::Union(fields, mode) => make_union(fields, *mode, len, numbers),
        D::Dictionary(key, value) => {
            let values = make(value, false, 5, numbers);
            let keys =
                Int32Array::new((0..len).map(|_| numbers.below(5) as i32).collect(), numbers.nulls(nullable, len));
            let keys = arrow::compute::cast(&keys, key).unwrap();
            let data = keys.into_data().into_builder().data_type(data_type.clone()).add_child_data(values.to_data());
            make_array(data.build().unwrap())
        }
        D::RunEndEncoded(_, values) => {
            let mut ends = vec![];
            while ends.last().map_or(0, |end| *end as usize) < len {
                ends.push(ends.last().copied().unwrap_or(0) + 1 + numbers.below(3) as i32);
            }
            if let Some(last) = ends.last_mut() {
                *last = len as i32;
            }
            let ends = Int32Array::from(ends);
            let values = make(values.data_type(), values.is_nullable(), ends.len(), numbers);
            Arc::new(RunArray::try_new(&ends, &values).unwrap())
        }
        fixed => {
            let width = match fixed {
                D::FixedSizeBinary(width) => *width as usize,
                primitive => primitive.primitive_width().unwrap(),
            };
            let data = ArrayData::builder(fixed.clone()).len(len).add_buffer(numbers.bytes(len * width));
            make_array(data.nulls(numbers.nulls(nullable, len)).align_buffers(true).build().unwrap())
        }
    }
}

fn make_list<O: OffsetSizeTrait>(item: &FieldRef, nullable: bool, len: usize, numbers: &mut Numbers) -> ArrayRef {
    let lengths = numbers.lengths(len);
    let values = make(item.data_type(), item.is_nullable(), lengths.iter().sum(), numbers);
    let nulls = numbers.nulls(nullable, len);
    Arc::new(GenericListArray::<O>::new(item.clone(), OffsetBuffer::from_lengths(lengths), values, nulls))
}

fn make_list_view<O: OffsetSizeTrait>(item: &FieldRef, nullable: bool, len: usize, numbers: &mut Numbers) -> ArrayRef {
    let values = make(item.data_type(), item.is_nullable(), 20, numbers);
    let sizes = numbers.lengths(len);
    let offsets = sizes.iter().map(|size| O::usize_as(numbers.below(20 - size))).collect();
    let sizes = sizes.iter().map(|size| O::usize_as(*size)).collect();
    let nulls = numbers.nulls(nullable, len);
    Arc::new(GenericListViewArray::<O>::new(item.clone(), offsets, sizes, values, nulls))
}

fn make_union(fields: &UnionFields, mode: UnionMode, len: usize, numbers: &mut Numbers) -> ArrayRef {
    let ids: Vec<i8> = fields.iter().map(|(id, _)| id).collect();
    let child_len = if mode == UnionMode::Dense { 7 } else { len };
    let children = fields.iter().map(|(_, it)| make(it.data_type(), it.is_nullable(), child_len, numbers)).collect();
    let type_ids: ScalarBuffer<i8> = (0..len).map(|_| ids[numbers.below(ids.len())]).collect();
    let offsets = (mode == UnionMode::Dense).then(|| (0..len).map(|_| numbers.below(7) as i32).collect());
    Arc::new(UnionArray::try_new(fields.clone(), type_ids, offsets, children).unwrap())
}

fn any_leaf() -> impl Strategy<Value = DataType> {
    use DataType as D;
    prop::sample::select(vec![
        D::Null,
        D::Boolean,
        D::UInt8,
        D::Int16,
        D::Int32,
        D::UInt64,
        D::Float16,
        D::Float64,
        D::Utf8,
        D::LargeUtf8,
        D::Utf8View,
        D::Binary,
        D::LargeBinary,
        D::BinaryView,
        D::FixedSizeBinary(3),
        D::FixedSizeBinary(0),
        D::Date32,
        D::Time32(TimeUnit::Millisecond),
        D::Time64(TimeUnit::Nanosecond),
        D::Timestamp(TimeUnit::Microsecond, None),
        D::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
        D::Duration(TimeUnit::Second),
        D::Interval(IntervalUnit::YearMonth),
        D::Interval(IntervalUnit::DayTime),
        D::Interval(IntervalUnit::MonthDayNano),
        D::Decimal32(9, 2),
        D::Decimal64(18, -2),
        D::Decimal128(38, 10),
        D::Decimal256(76, 10),
        D::Dictionary(Box::new(D::UInt8), Box::new(D::Utf8)),
        D::Dictionary(Box::new(D::Int64), Box::new(D::Float32)),
    ])
}

fn any_field(inner: impl Strategy<Value = DataType>) -> impl Strategy<Value = FieldRef> {
    (inner, any::<bool>(), "[a-zä]{0,4}", prop::option::of("[a-z]{1,3}")).prop_map(|(inner, nullable, name, note)| {
        // their elements can be null although the array has no validity bitmap
        use DataType as D;
        let nullable = nullable || matches!(inner, D::Null | D::Union(..) | D::RunEndEncoded(..));
        Arc::new(
            Field::new(name, inner, nullable).with_metadata(note.map(|it| ("note".into(), it)).into_iter().collect()),
        )
    })
}

fn any_type() -> impl Strategy<Value = DataType> {
    use DataType as D;
    any_leaf().prop_recursive(3, 12, 3, |inner| {
        let field = || any_field(inner.clone());
        let fields = || vec(any_field(inner.clone()), 1..4);
        let union_fields =
            || fields().prop_map(|it| UnionFields::try_new((0..it.len()).map(|i| i as i8 * 5), it).unwrap());
        prop_oneof![
            field().prop_map(D::List),
            field().prop_map(D::LargeList),
            field().prop_map(D::ListView),
            field().prop_map(D::LargeListView),
            (field(), 0..4).prop_map(|(item, size)| D::FixedSizeList(item, size)),
            vec(any_field(inner.clone()), 0..4).prop_map(|it| D::Struct(it.into())),
            field().prop_map(|value| {
                let key = Arc::new(Field::new("key", D::Utf8, false));
                D::Map(Arc::new(Field::new("entries", D::Struct([key, value].into_iter().collect()), false)), false)
            }),
            union_fields().prop_map(|it| D::Union(it, UnionMode::Sparse)),
            union_fields().prop_map(|it| D::Union(it, UnionMode::Dense)),
            field().prop_map(|values| {
                D::RunEndEncoded(
                    Arc::new(Field::new("run_ends", D::Int32, false)),
                    Arc::new(Field::new("values", values.data_type().clone(), true)),
                )
            }),
        ]
    })
}

prop_compose! {
    fn any_array()(data_type in any_type(), nullable: bool, len in 0usize..40, seed: u64) -> ArrayRef {
        make(&data_type, nullable, len, &mut Numbers(seed))
    }
}

prop_compose! {
    /// An array, or a slice of one.
    fn any_slice()(array in any_array(), whole: bool, a: Index, b: Index) -> ArrayRef {
        let (a, b) = (a.index(array.len() + 1), b.index(array.len() + 1));
        if whole { array } else { array.slice(a.min(b), a.abs_diff(b)) }
    }
}

proptest! {
    #[test]
    fn any_array_comes_back(array in any_slice()) {
        assert_round_trip(&array);
    }

    #[test]
    fn a_misaligned_payload_is_copied(array in any_slice(), shift in 1usize..64) {
        let (tag, header, payload) = sent(&array);
        let mut shifted = MutableBuffer::from_len_zeroed(shift);
        shifted.extend_from_slice(&payload);
        let received = decode(tag, &header, Buffer::from(shifted).slice(shift)).unwrap();
        prop_assert_eq!(&received.array.to_data(), &array.to_data());
    }

    #[test]
    fn parameters_follow_the_description(array in any_slice(), number: i64) {
        let (tag, mut header, payload) = sent(&array);
        let parameters = [("number".to_owned(), number.into())].into();
        parameter::encode(&parameters, &mut header);
        prop_assert_eq!(decode(tag, &header, payload).unwrap().parameters, parameters);
    }

    #[test]
    fn damaged_headers_never_panic(array in any_slice(), damage in vec((any::<Index>(), any::<u8>()), 1..4)) {
        let (tag, mut header, payload) = sent(&array);
        for (at, byte) in damage {
            if !header.is_empty() {
                let at = at.index(header.len());
                header[at] = byte;
            }
        }
        if let Ok(received) = decode(tag, &header, payload) {
            received.array.to_data().validate_full().unwrap();
        }
    }

    #[test]
    fn damaged_payloads_never_panic(array in any_slice(), damage in vec((any::<Index>(), any::<u8>()), 1..4)) {
        let (tag, header, payload) = sent(&array);
        let mut bytes = payload.to_vec();
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if let Ok(received) = decode(tag, &header, Buffer::from_slice_ref(&bytes)) {
            received.array.to_data().validate_full().unwrap();
        }
    }

    #[test]
    fn a_payload_cut_short_is_refused(array in any_slice(), at: Index) {
        let (tag, header, payload) = sent(&array);
        if tag == TypeTag::Described && !payload.is_empty() {
            let cut = payload.slice_with_length(0, at.index(payload.len()));
            prop_assert!(decode(tag, &header, cut).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(tag in 0u8..16, header in vec(any::<u8>(), 0..80), payload in vec(any::<u8>(), 0..80)) {
        if let Ok(tag) = TypeTag::try_from(tag) {
            let _ = decode(tag, &header, Buffer::from_slice_ref(&payload));
            // most random lengths are refused at once; let the rest of the header be looked at as well
            let mut framed = (header.len() as u32).to_le_bytes().to_vec();
            framed.extend(&header);
            let _ = decode(TypeTag::Described, &framed, Buffer::from_slice_ref(&payload));
        }
    }
}

#[test]
fn tags_cost_no_header() {
    let cases: [(ArrayRef, TypeTag, &[u8]); 9] = [
        (Arc::new(UInt8Array::from(vec![1, 2])), TypeTag::UInt8, &[1, 2]),
        (Arc::new(Int16Array::from(vec![-1])), TypeTag::Int16, &[0xff, 0xff]),
        (Arc::new(Float16Array::from(vec![f16::ONE])), TypeTag::Float16, &[0, 0x3c]),
        (Arc::new(Float32Array::from(Vec::<f32>::new())), TypeTag::Float32, &[]),
        (Arc::new(UInt8Array::from(vec![1, 2, 3]).slice(1, 1)), TypeTag::UInt8, &[2]),
        (Arc::new(NullArray::new(0)), TypeTag::Empty, &[]),
        (Arc::new(StringArray::from(vec!["hé"])), TypeTag::Text, "hé".as_bytes()),
        (Arc::new(StringArray::from(vec![""])), TypeTag::Text, &[]),
        (Arc::new(BooleanArray::from(vec![false, true]).slice(1, 1)), TypeTag::Bool, &[1]),
    ];
    for (array, expected, bytes) in cases {
        let (tag, header, payload) = sent(&array);
        assert_eq!((tag, header.as_slice(), payload.as_slice()), (expected, &[][..], bytes));
        assert_round_trip(&array);
        let inline = decode(tag, &[], inline_buffer(bytes)).unwrap();
        assert_eq!(inline.array.to_data(), array.to_data());
    }
}

#[test]
fn what_has_no_tag_is_described() {
    let cases: [ArrayRef; 5] = [
        Arc::new(UInt8Array::from(vec![Some(1), None])),
        Arc::new(NullArray::new(3)),
        Arc::new(StringArray::from(vec![None::<&str>])),
        Arc::new(StringArray::from(vec!["a", "b"])),
        Arc::new(BooleanArray::from(vec![true, false])),
    ];
    for array in cases {
        assert_eq!(sent(&array).0, TypeTag::Described);
        assert_round_trip(&array);
    }
}

#[test]
fn arrays_point_into_the_payload() {
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0), None]), None]);
    let text = StringArray::from(vec!["hello"]);
    for array in [&list as &dyn Array, &UInt64Array::from(vec![1, 2]), &text, &StringViewArray::from(vec!["a"; 9])] {
        let (tag, header, payload) = sent(array);
        let within = payload.as_ptr_range();
        let received = decode(tag, &header, payload).unwrap().array.to_data();
        let values = received.child_data().first().unwrap_or(&received).buffers().last().unwrap().as_ptr();
        assert!(within.contains(&values), "{}", array.data_type());
    }
}

#[test]
fn a_slice_does_not_drag_its_parent_along() {
    let long = "some text that is longer than a view".to_owned();
    let numbers = &mut Numbers(1);
    let item = || Arc::new(Field::new_list_field(DataType::UInt64, false));
    let fields = UnionFields::from_fields([Field::new("a", DataType::UInt64, false)]);
    let union = |offsets| {
        let child = UInt64Array::from_iter_values(0..1000);
        UnionArray::try_new(fields.clone(), vec![0i8; 1000].into(), offsets, vec![Arc::new(child)]).unwrap()
    };
    let parents: [ArrayRef; 10] = [
        Arc::new(UInt64Array::from_iter_values(0..1000)),
        Arc::new(BooleanArray::from(vec![true; 10_000])),
        Arc::new(StringArray::from(vec![long.clone(); 1000])),
        Arc::new(StringViewArray::from(vec![long; 1000])),
        make(&DataType::List(item()), false, 1000, numbers),
        make(&DataType::LargeListView(item()), false, 1000, numbers),
        make(&DataType::FixedSizeList(item(), 3), false, 1000, numbers),
        Arc::new(union(None)),
        Arc::new(union(Some((0..1000).collect()))),
        make(&DataType::Struct([item()].into_iter().collect()), true, 1000, numbers),
    ];
    for parent in parents {
        let slice = parent.slice(500, 2);
        let len = Layout::of(&slice).unwrap().payload_len();
        assert!(len <= 64 * 3 + 20 * 8, "{}: {len} bytes", parent.data_type());
        assert_round_trip(&slice);
    }
}

#[test]
fn gaps_are_zeroed_and_buffers_aligned() {
    let array = StringArray::from(vec!["a", "b"]);
    let (_, _, payload) = sent(&array);
    assert_eq!(payload.len(), 64 + 2);
    assert!(payload[12..64].iter().all(|byte| *byte == 0));
}

#[test]
fn memory_of_another_size_is_refused() {
    let array = UInt16Array::from(vec![1, 2]);
    let layout = Layout::of(&array).unwrap();
    assert!(matches!(layout.write_payload(&mut [0; 3]), Err(EncodeError::Memory { needed: 4, given: 3 })));
}

#[test]
fn lengths_and_contents_that_no_tag_allows_are_refused() {
    let cases: [(TypeTag, &[u8]); 6] = [
        (TypeTag::UInt32, &[1, 2, 3]),
        (TypeTag::Empty, &[0]),
        (TypeTag::Bool, &[2]),
        (TypeTag::Bool, &[]),
        (TypeTag::Text, &[0xff]),
        (TypeTag::Described, &[]),
    ];
    for (tag, bytes) in cases {
        assert!(decode(tag, &[], inline_buffer(bytes)).is_err(), "{tag:?}");
    }
}

#[test]
fn types_nested_too_deep_are_refused_on_both_sides() {
    let nested =
        |levels| (0..levels).fold(DataType::UInt8, |it, _| DataType::List(Arc::new(Field::new_list_field(it, true))));
    assert_round_trip(&new_empty_array(&nested(MAX_DEPTH - 1)));
    assert!(matches!(Layout::of(&new_empty_array(&nested(MAX_DEPTH))), Err(EncodeError::TooDeep)));

    let mut header = vec![0; 4];
    header.extend([70, 0, 0, 0].repeat(100_000)); // list of unnamed lists ...
    let len = header.len() as u32 - 4;
    header[..4].copy_from_slice(&len.to_le_bytes());
    assert!(matches!(decode(TypeTag::Described, &header, inline_buffer(&[])), Err(DecodeError::TooDeep)));
}

#[test]
fn a_run_cannot_make_a_fixed_size_list_expand_without_bound() {
    let runs = RunArray::try_new(&Int64Array::from(vec![1 << 40]), &UInt8Array::from(vec![1])).unwrap();
    let item = Arc::new(Field::new("item", runs.data_type().clone(), false));
    let list = |size: usize| {
        let nulls = NullBuffer::from(vec![false; 2]);
        FixedSizeListArray::new(item.clone(), size as i32, Arc::new(runs.slice(0, 2 * size)), Some(nulls))
    };
    assert_round_trip(&list(1000));
    let (tag, header, payload) = sent(&list(1 << 20));
    assert!(matches!(decode(tag, &header, payload), Err(DecodeError::Type(_))));
}
