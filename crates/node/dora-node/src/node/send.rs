//! From an array or bytes to a message on every edge of an output.
//!
//! A payload of at most 24 bytes of a simple type without parameters travels in the descriptor: no chunk, no lock.
//! Everything else gets a chunk: the payload at its start, the header (description of the array, then parameters)
//! behind it. Whoever has no consumers encodes nothing.

use dora_arrow_convert::IntoArrow;
use dora_channel::{Chunk, INLINE_LEN, Outgoing, Payload, Producer, SendError, chunk_layout, prefetch};
use dora_message::{
    arrow::{Layout, TypeTag},
    id::DataId,
    metadata::{FLUSH, MetadataParameters, get_bool_param},
    parameter,
};

use super::{
    DoraNode, Sink,
    sample::{DataSample, EncodedSample, SampleAllocator, Storage, encode_error},
};
use crate::{
    clock::NodeClock,
    error::{NodeError, NodeResult},
    fork::{self, ProcessBound},
};

impl DoraNode {
    /// Sends an array: a number, a text, a vector, an Arrow array, or anything else that is [`IntoArrow`].
    ///
    /// The data are copied once, into shared memory. An output that the dataflow file does not declare is ignored, with
    /// one warning; an output that nobody reads costs next to nothing.
    ///
    /// # Errors
    /// If the id is not valid, the array cannot be sent, there is no memory, or the dataflow is stopping and a queue
    /// with `backpressure` is full ([`NodeError::Stopping`]).
    pub fn send_output(
        &mut self,
        output_id: DataId,
        parameters: MetadataParameters,
        data: impl IntoArrow,
    ) -> NodeResult<()> {
        let _in_call = self.pulse.enter();
        let Some(output) = self.begin(&output_id, &parameters)? else { return Ok(()) };
        let array = data.into_arrow();
        match &mut *self.sink {
            Sink::Test(sink) => Ok(sink.write(&output_id, self.clock.now_ns(), Some(&array.0))?),
            Sink::Channels(producer) => {
                let layout = Layout::of(&*array.0).map_err(encode_error(&output_id))?;
                let payload = message_of(producer, &output_id, &layout, &parameters)?;
                let message = Outgoing { tag: layout.tag().into(), stamp_ns: self.clock.stamp(), payload };
                finish(&output_id, producer.send(output, message))
            }
        }
    }

    /// Sends `data_len` bytes, which arrive as an array of `UInt8`. The closure writes them, in place: into the shared
    /// memory from which consumers will read.
    ///
    /// The slice has exactly `data_len` bytes. Its content is at first whatever an earlier message left there: bytes
    /// that the closure does not write are sent as they are.
    ///
    /// # Errors
    /// As [`Self::send_output`].
    pub fn send_output_raw<F>(
        &mut self,
        output_id: DataId,
        parameters: MetadataParameters,
        data_len: usize,
        data: F,
    ) -> NodeResult<()>
    where
        F: FnOnce(&mut [u8]),
    {
        let _in_call = self.pulse.enter();
        let Some(output) = self.begin(&output_id, &parameters)? else { return Ok(()) };
        match &mut *self.sink {
            Sink::Test(sink) => {
                let mut bytes = SampleAllocator::heap().allocate(data_len)?;
                data(&mut bytes);
                Ok(sink.write(&output_id, self.clock.now_ns(), Some(&bytes.to_vec().into_arrow().0))?)
            }
            Sink::Channels(producer) => {
                let header = Header { description: &[], parameters: &parameters };
                let payload = if header.is_empty() && data_len <= INLINE_LEN {
                    inline(data_len, |bytes| {
                        data(bytes);
                        Ok(())
                    })?
                } else {
                    let mut place = Place::take(producer, &output_id, data_len, header.len())?;
                    data(place.payload());
                    place.finish(&output_id, &header)?
                };
                let message = Outgoing { tag: TypeTag::UInt8.into(), stamp_ns: self.clock.stamp(), payload };
                finish(&output_id, producer.send(output, message))
            }
        }
    }

    /// Sends bytes, which arrive as an array of `UInt8`.
    ///
    /// # Errors
    /// [`NodeError::LengthMismatch`] if `data_len` is not the length of `data`, else as [`Self::send_output`].
    pub fn send_output_bytes(
        &mut self,
        output_id: DataId,
        parameters: MetadataParameters,
        data_len: usize,
        data: &[u8],
    ) -> NodeResult<()> {
        if data.len() != data_len {
            return Err(NodeError::LengthMismatch { output: output_id, data_len, found: data.len() });
        }
        self.send_output_raw(output_id, parameters, data_len, |bytes| bytes.copy_from_slice(data))
    }

    /// Sends a sample that was filled before, which arrives as an array of `UInt8`; `None` arrives as an empty array of
    /// type `Null`. A sample in shared memory is not copied, unless its parameters take more than 256 bytes.
    ///
    /// # Errors
    /// As [`Self::send_output`].
    pub fn send_output_sample(
        &mut self,
        output_id: DataId,
        parameters: MetadataParameters,
        sample: Option<DataSample>,
    ) -> NodeResult<()> {
        let _in_call = self.pulse.enter();
        let Some(output) = self.begin(&output_id, &parameters)? else { return Ok(()) };
        if let Sink::Test(sink) = &mut *self.sink {
            let array = sample.map(|sample| sample.to_vec().into_arrow());
            return Ok(sink.write(&output_id, self.clock.now_ns(), array.as_ref().map(|array| &array.0))?);
        }
        let header = Header { description: &[], parameters: &parameters };
        match sample {
            Some(sample) => self.send_filled(output, &output_id, TypeTag::UInt8, &header, sample),
            None => self.send_filled(output, &output_id, TypeTag::Empty, &header, SampleAllocator::heap().allocate(0)?),
        }
    }

    /// Sends an array that was encoded before.
    ///
    /// # Errors
    /// As [`Self::send_output`].
    pub fn send_output_encoded(
        &mut self,
        output_id: DataId,
        parameters: MetadataParameters,
        encoded: EncodedSample,
    ) -> NodeResult<()> {
        let _in_call = self.pulse.enter();
        let Some(output) = self.begin(&output_id, &parameters)? else { return Ok(()) };
        if let Sink::Test(sink) = &mut *self.sink {
            let array = encoded.decode().map_err(|error| sink.failed(&output_id, error.to_string()))?;
            return Ok(sink.write(&output_id, self.clock.now_ns(), Some(&array))?);
        }
        let header = Header { description: &encoded.description, parameters: &parameters };
        self.send_filled(output, &output_id, encoded.tag, &header, encoded.sample)
    }

    /// Memory of `data_len` bytes for [`Self::send_output_sample`]. See [`SampleAllocator::allocate`].
    ///
    /// # Errors
    /// [`NodeError::TooLarge`] if there is no memory of that size at all.
    pub fn allocate_data_sample(&mut self, data_len: usize) -> NodeResult<DataSample> {
        self.sample_allocator().allocate(data_len)
    }

    /// Makes samples in other threads.
    pub fn sample_allocator(&self) -> SampleAllocator {
        match &*self.sink {
            Sink::Channels(producer) => SampleAllocator::of(producer.arena()),
            Sink::Test(_) => SampleAllocator::heap(),
        }
    }

    /// The number of the output; `None` if there is nothing to do. From now on, what the message withdraws is not read.
    #[inline]
    fn begin(&mut self, id: &DataId, parameters: &MetadataParameters) -> NodeResult<Option<usize>> {
        fork::check()?;
        if let Sink::Channels(producer) = &*self.sink {
            if producer.prefetch() {
                prefetch_code();
            }
            if producer.has_news() {
                self.take_in_edges();
            }
        }
        let Some(output) = self.find_output(id)? else { return Ok(None) };
        let wanted = match &mut *self.sink {
            Sink::Channels(producer) => {
                if get_bool_param(parameters, FLUSH) == Some(true) {
                    producer.flush(output);
                }
                producer.has_consumers(output)
            }
            Sink::Test(_) => true,
        };
        Ok(wanted.then_some(output))
    }

    /// Somebody looks at an output from now on.
    #[cold]
    fn take_in_edges(&mut self) {
        let Sink::Channels(outlet) = &mut *self.sink else { return };
        for error in outlet.take_in_edges() {
            self.log("warn", &format!("an output cannot be looked at: {error}"), Some("dora"));
        }
    }

    fn send_filled(
        &mut self,
        output: usize,
        id: &DataId,
        tag: TypeTag,
        header: &Header<'_>,
        sample: DataSample,
    ) -> NodeResult<()> {
        let Sink::Channels(producer) = &mut *self.sink else { return Ok(()) };
        let payload = if header.is_empty() && sample.len() <= INLINE_LEN {
            inline(sample.len(), |bytes| {
                bytes.copy_from_slice(&sample);
                Ok(())
            })?
        } else {
            Place::of_sample(producer, id, sample, header.len())?.finish(id, header)?
        };
        let message = Outgoing { tag: tag.into(), stamp_ns: self.clock.stamp(), payload };
        finish(id, producer.send(output, message))
    }
}

/// Asks the CPU to load the code that is our own: see [`prefetch`].
#[cold]
fn prefetch_code() {
    prefetch::code(Place::take as fn(&mut Producer, &DataId, usize, usize) -> NodeResult<Place> as *const (), 256);
    prefetch::code(Place::finish as fn(Place, &DataId, &Header<'static>) -> NodeResult<Payload> as *const (), 192);
    prefetch::code(NodeClock::stamp as fn(&NodeClock) -> u64 as *const (), 128);
}

/// What lies behind a payload.
struct Header<'a> {
    description: &'a [u8],
    parameters: &'a MetadataParameters,
}

impl Header<'_> {
    #[inline]
    fn is_empty(&self) -> bool {
        self.description.is_empty() && self.parameters.is_empty()
    }

    fn len(&self) -> usize {
        self.description.len() + parameter::encoded_len(self.parameters)
    }

    fn write(&self, id: &DataId, memory: &mut [u8]) -> NodeResult<()> {
        let (description, parameters) = memory.split_at_mut(self.description.len());
        description.copy_from_slice(self.description);
        parameter::encode_in_place(self.parameters, parameters)
            .map_err(|source| NodeError::Parameters { output: id.clone(), source })
    }
}

/// A chunk for a payload and its header.
struct Place {
    chunk: ProcessBound<Chunk>,
    len: usize,
    header_at: usize,
    header_len: usize,
}

impl Place {
    fn take(producer: &mut Producer, id: &DataId, len: usize, header_len: usize) -> NodeResult<Self> {
        let (room, header_at) = chunk_layout(len, header_len).ok_or(NodeError::TooLarge { len })?;
        let chunk = producer.allocate(room).map_err(|error| send_error(id, error))?;
        Ok(Place { chunk: ProcessBound::new(chunk), len, header_at, header_len })
    }

    /// The chunk of the sample, if it is one of ours with room for the header; else a copy.
    fn of_sample(producer: &mut Producer, id: &DataId, sample: DataSample, header_len: usize) -> NodeResult<Self> {
        let len = sample.len();
        let (room, header_at) = chunk_layout(len, header_len).ok_or(NodeError::TooLarge { len })?;
        match sample.storage {
            Storage::Shared(chunk) if chunk.len() >= room && chunk.is_from(producer.arena()) => {
                Ok(Place { chunk, len, header_at, header_len })
            }
            storage => {
                let sample = DataSample { storage, len };
                let mut place = Place::take(producer, id, len, header_len)?;
                place.payload().copy_from_slice(&sample);
                Ok(place)
            }
        }
    }

    fn payload(&mut self) -> &mut [u8] {
        &mut self.chunk[..self.len]
    }

    fn finish(mut self, id: &DataId, header: &Header<'_>) -> NodeResult<Payload> {
        if self.header_len > 0 {
            header.write(id, &mut self.chunk[self.header_at..self.header_at + self.header_len])?;
        }
        Ok(Payload::Chunk { chunk: self.chunk.into_inner(), len: self.len, header_len: self.header_len })
    }
}

#[inline]
fn message_of(
    producer: &mut Producer,
    id: &DataId,
    layout: &Layout<'_>,
    parameters: &MetadataParameters,
) -> NodeResult<Payload> {
    let header = Header { description: layout.header(), parameters };
    let len = layout.payload_len();
    if header.is_empty() && len <= INLINE_LEN {
        return inline(len, |bytes| layout.write_payload(bytes).map_err(encode_error(id)));
    }
    let mut place = Place::take(producer, id, len, header.len())?;
    layout.write_payload(place.payload()).map_err(encode_error(id))?;
    place.finish(id, &header)
}

#[inline]
fn inline(len: usize, write: impl FnOnce(&mut [u8]) -> NodeResult<()>) -> NodeResult<Payload> {
    let mut bytes = [0; INLINE_LEN];
    write(&mut bytes[..len])?;
    Ok(Payload::Inline { bytes, len: len as u8 })
}

#[inline]
fn finish(id: &DataId, sent: Result<usize, SendError>) -> NodeResult<()> {
    sent.map(|_| ()).map_err(|error| send_error(id, error))
}

#[cold]
fn send_error(id: &DataId, error: SendError) -> NodeError {
    match error {
        SendError::Stopping => NodeError::Stopping { output: id.clone() },
        source => NodeError::Send { output: id.clone(), source },
    }
}
