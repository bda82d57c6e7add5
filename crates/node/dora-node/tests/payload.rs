//! What is sent is what is received, and where it lies.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, ListArray, NullArray, StringArray, StructArray, UInt64Array};
use common::{node, start};
use dora_arrow_convert::{DoraArray, IntoArrow};
use dora_message::metadata::{Metadata, MetadataParameters, Parameter};
use dora_node::{DoraNode, Event, EventStream, NodeError, SampleAllocator};

fn pair() -> (common::Keeper, DoraNode, EventStream) {
    let (keeper, mut nodes) = start(&[node("a").output("x").output("nobody"), node("b").input("x", "a/x")]);
    let (_b, events) = nodes.pop().unwrap();
    let (a, _) = nodes.pop().unwrap();
    (keeper, a, events)
}

fn receive(events: &mut EventStream) -> (Metadata, DoraArray) {
    match events.recv() {
        Some(Event::Input { metadata, data, .. }) => (metadata, data),
        other => panic!("{other:?}"),
    }
}

fn parameters() -> MetadataParameters {
    [
        ("flag".to_owned(), Parameter::Bool(true)),
        ("list".to_owned(), Parameter::ListString(vec!["a".into(), String::new()])),
        ("text".to_owned(), Parameter::String("x".repeat(1000))),
    ]
    .into()
}

fn arrays() -> Vec<ArrayRef> {
    let texts = StringArray::from(vec![Some("a"), None, Some("long enough to be no inline text")]);
    let numbers = Int32Array::from(vec![Some(1), None, Some(3)]);
    let columns: Vec<(&str, ArrayRef)> = vec![("text", Arc::new(texts.clone())), ("number", Arc::new(numbers.clone()))];
    let lists = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>([Some(vec![Some(1)]), None]);
    vec![
        Arc::new(UInt64Array::from(vec![7])),
        Arc::new(UInt64Array::from_iter_values(0..10_000)),
        Arc::new(UInt64Array::from_iter_values(0..100).slice(10, 3)),
        Arc::new(numbers),
        Arc::new(texts),
        Arc::new(StructArray::try_from(columns).unwrap()),
        Arc::new(lists),
        Arc::new(NullArray::new(0)),
        Arc::new(NullArray::new(5)),
        "short".into_arrow().0,
        true.into_arrow().0,
        Vec::<f32>::new().into_arrow().0,
    ]
}

#[test]
fn arrays_of_any_type_arrive_with_and_without_parameters() {
    let (_keeper, mut node, mut events) = pair();
    for array in arrays() {
        for parameters in [MetadataParameters::new(), parameters()] {
            let before = node.timestamp();
            node.send_output("x".into(), parameters.clone(), array.clone()).unwrap();
            let (metadata, data) = receive(&mut events);
            assert_eq!(data.0.to_data(), array.to_data());
            assert_eq!(metadata.parameters, parameters);
            assert!(before <= metadata.timestamp() && metadata.timestamp() <= node.timestamp());
            let encoded = node.sample_allocator().encode_arrow(&DoraArray(array.clone())).unwrap();
            node.send_output_encoded("x".into(), parameters.clone(), encoded).unwrap();
            let (metadata, data) = receive(&mut events);
            assert_eq!((data.0.to_data(), &metadata.parameters), (array.to_data(), &parameters));
        }
    }
}

#[test]
fn bytes_are_written_in_place_and_are_as_many_as_said() {
    let (_keeper, mut node, mut events) = pair();
    for len in [0, 1, 24, 25, 4096, 1 << 20] {
        let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
        for parameters in [MetadataParameters::new(), parameters()] {
            let write = |place: &mut [u8]| {
                assert_eq!(place.len(), len);
                place.copy_from_slice(&bytes);
            };
            node.send_output_raw("x".into(), parameters.clone(), len, write).unwrap();
            node.send_output_bytes("x".into(), parameters.clone(), len, &bytes).unwrap();
            let mut sample = node.allocate_data_sample(len).unwrap();
            assert_eq!(sample.len(), len);
            sample.copy_from_slice(&bytes);
            node.send_output_sample("x".into(), parameters.clone(), Some(sample)).unwrap();
            let mut sample = SampleAllocator::heap().allocate(len).unwrap();
            sample.copy_from_slice(&bytes);
            node.send_output_sample("x".into(), parameters.clone(), Some(sample)).unwrap();
            for _ in 0..4 {
                let (metadata, data) = receive(&mut events);
                assert_eq!(<&[u8]>::try_from(&data).unwrap(), bytes);
                assert_eq!(metadata.parameters, parameters);
            }
        }
    }
    node.send_output_sample("x".into(), MetadataParameters::new(), None).unwrap();
    assert_eq!(receive(&mut events).1.type_name(), "Null");
    let error = node.send_output_bytes("x".into(), MetadataParameters::new(), 3, &[1, 2]).unwrap_err();
    assert!(matches!(error, NodeError::LengthMismatch { data_len: 3, found: 2, .. }), "{error}");
}

/// The mappings of the memory of node `a`: its own, and that of its consumer.
fn arena_mappings() -> Vec<std::ops::Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let range = |line: &str| {
        let (start, rest) = line.split_once('-').unwrap();
        let (end, _) = rest.split_once(' ').unwrap();
        usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap()
    };
    maps.lines().filter(|line| line.contains("dora-arena-a")).map(range).collect()
}

fn lies_in_arena(bytes: &[u8]) -> bool {
    let address = bytes.as_ptr() as usize;
    arena_mappings().iter().any(|range| range.contains(&address))
}

#[test]
fn received_arrays_lie_in_shared_memory_until_they_are_dropped() {
    let (_keeper, mut node, mut events) = pair();
    let mut sample = node.allocate_data_sample(100_000).unwrap();
    assert!(sample.is_shared() && lies_in_arena(&sample));
    sample.fill(1);
    let written_at = sample.as_ptr() as usize;
    node.send_output_sample("x".into(), MetadataParameters::new(), Some(sample)).unwrap();
    let (_, data) = receive(&mut events);
    let bytes: &[u8] = (&data).try_into().unwrap();
    assert!(lies_in_arena(bytes));
    // The same page through two mappings: what was written there is what is read here, and is not written again.
    let slice = DoraArray(data.0.slice(10, 5));
    drop(data);
    for number in 2..20 {
        node.send_output_raw("x".into(), MetadataParameters::new(), 100_000, |bytes| bytes.fill(number)).unwrap();
        assert!(events.recv().is_some());
    }
    assert_eq!(<&[u8]>::try_from(&slice).unwrap(), [1; 5]);
    drop(slice);
    let again = (0..4).map(|_| node.allocate_data_sample(100_000).unwrap()).collect::<Vec<_>>();
    assert!(again.iter().any(|sample| sample.as_ptr() as usize == written_at), "the chunk is used again");
}

#[test]
fn a_closure_that_panics_leaves_the_node_usable() {
    let (_keeper, mut node, mut events) = pair();
    let attempt = std::panic::AssertUnwindSafe(|| {
        let _ = node.send_output_raw("x".into(), MetadataParameters::new(), 1000, |_| panic!("no data"));
    });
    assert!(std::panic::catch_unwind(attempt).is_err());
    node.send_output("x".into(), MetadataParameters::new(), 5u8).unwrap();
    assert_eq!(u8::try_from(&receive(&mut events).1).unwrap(), 5);
    assert!(events.is_empty());
}

#[test]
fn samples_prepared_in_other_threads_are_not_copied() {
    let (_keeper, mut node, mut events) = pair();
    let allocator = node.sample_allocator();
    let sample = std::thread::spawn(move || {
        let mut sample = allocator.clone().allocate(5000).unwrap();
        sample.fill(9);
        sample
    });
    node.send_output_sample("x".into(), MetadataParameters::new(), Some(sample.join().unwrap())).unwrap();
    let (_, data) = receive(&mut events);
    let bytes: &[u8] = (&data).try_into().unwrap();
    assert!(bytes == [9; 5000] && lies_in_arena(bytes));
}

#[test]
fn an_output_without_consumers_calls_no_closure() {
    let (_keeper, mut node, _events) = pair();
    node.send_output_raw("nobody".into(), MetadataParameters::new(), usize::MAX, |_| panic!("called")).unwrap();
}

#[test]
fn what_cannot_be_sent_is_an_error_and_not_a_panic() {
    let (_keeper, mut node, _events) = pair();
    let error = node.send_output_raw("x".into(), MetadataParameters::new(), usize::MAX - 100, |_| {}).unwrap_err();
    assert!(error.to_string().contains("`x`") || matches!(error, NodeError::TooLarge { .. }), "{error}");
    let parameters = [("long".to_owned(), Parameter::String("x".repeat(20 << 20)))].into();
    let error = node.send_output("x".into(), parameters, 1u8).unwrap_err();
    assert!(error.to_string().contains("metadata"), "{error}");
}
